"""Writing what the service found, in the forms that analysts and other tools read."""
