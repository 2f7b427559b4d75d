"""The simulator: the world in virtual time, the people in it, scenario files, and what is told of them."""
