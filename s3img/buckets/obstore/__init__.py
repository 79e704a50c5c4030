"""Small objects through obstore, the only package that imports it."""
