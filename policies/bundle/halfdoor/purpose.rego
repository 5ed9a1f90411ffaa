package halfdoor

# The purpose of use of this call: as stated, or else the desk's usual one.
purpose := input.purpose if {
	input.purpose != ""
} else := desk.default_purpose

purpose_allowed if desk.purposes[purpose]
