"""What the pages that show emotions share: colours, the notice, time lines."""
