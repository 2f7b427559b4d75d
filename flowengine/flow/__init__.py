"""Flow documents: what an admin draws. Pure: no clock, no database, no network.

`document` says what a flow is, `graph` says what is wrong with it, `paths` says where a caller can go and
for how long, `diff` says what changed between two versions, `schema` publishes the same as JSON Schema.
"""
