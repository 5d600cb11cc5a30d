"""From drifted traffic to a promoted version, by the parts of production.

`traffic` asks and corrects, `stack` holds the servers, `signs` looks at what they say, `play` goes
through it all and tells of it.
"""
