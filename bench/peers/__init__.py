"""What others would pick for the same work, kept to be measured beside it."""
