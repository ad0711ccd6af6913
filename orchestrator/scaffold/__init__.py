"""The beginning of a new service: a service that works, with the model still to be filled in.

`template/` is laid out like a checkout and is a real service, called my_model: it is linted, typed and run as
it stands, and a new service is a copy in which that name is replaced. The price: the name may stand in the
template for nothing else.
"""
