"""The demo: small real models behind the sample graphs."""
