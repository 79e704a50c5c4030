"""The bucket for people: web pages to look through it, and the doors through which editors put pictures into it."""
