"""What `python -m bootcamp` can do, a module for each kind of thing."""
