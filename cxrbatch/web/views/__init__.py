"""Views: requests in, pages out."""
