# METADATA
# title: What is decided while no bundle has come
# description: The gateway refuses every call before it asks; this refuses whatever would ask nevertheless.
package halfdoor

# METADATA
# entrypoint: true
decision := {
	"allow": false,
	"reason": {"code": "policy-missing", "text": "The gateway has no policy yet."},
}
