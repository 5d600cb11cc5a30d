"""What the HTML pages share: frame, colours, number formats, the notice, time lines, charts."""
