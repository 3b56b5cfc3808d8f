"""The ext_proc conversation, sans-IO: a message in, a reply out."""
