package halfdoor

# METADATA
# title: Narrowing by security label
# description: |
#   What carries a label that the hospital denies to every desk, or one that this desk
#   is not to see besides, is withheld.
labels := array.concat(data.halfdoor.deny_labels, desk.deny_labels) if {
	desk.deny_labels
} else := data.halfdoor.deny_labels
