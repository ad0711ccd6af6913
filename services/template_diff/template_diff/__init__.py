"""What the service template_diff is made of. A package, so that its modules' names are nobody else's."""
