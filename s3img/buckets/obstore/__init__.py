"""Small objects and listings through obstore."""
