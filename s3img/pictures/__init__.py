"""From one reference in a page to the markup of its picture."""
