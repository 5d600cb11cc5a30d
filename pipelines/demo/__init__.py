"""What only the demo needs: its models, its drifted traffic, its loop."""
