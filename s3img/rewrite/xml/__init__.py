"""Feeds, sitemaps and other XML."""
