"""What a release consists of: a wheel, its sources, and a bill of materials."""
