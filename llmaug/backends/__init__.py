"""Language models behind the one seam of `llmaug.request.Backend`."""
