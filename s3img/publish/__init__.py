"""The site pipeline: survey pages, render variants, put objects, rewrite pages; see ``docs/publishing.md``."""
