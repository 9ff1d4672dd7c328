"""What values are: names, conventions, units and directions, checked before anything is computed."""
