"""Tag libraries, where Django looks for them."""
