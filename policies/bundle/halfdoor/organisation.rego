package halfdoor

# METADATA
# title: Narrowing by organisation
# description: |
#   An example. Where several organisations share the gateway, a desk of one of them is not
#   to see the patients of another: each tenant (an EHR's in the gateway's configuration)
#   names the roles of those who work for it.
organisation_fits if data.halfdoor.organisations.enforced == false

organisation_fits if {
	data.halfdoor.organisations.tenants[input.context.tenant][input.caller.roles[_]]
}
