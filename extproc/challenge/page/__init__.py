"""A report as one page of HTML: nothing of it is fetched from elsewhere, nothing of it runs."""
