package halfdoor.strict

import data.halfdoor.datasets
import data.halfdoor.sets as datasets

unused if {
	x := 1
	input.purpose == "PATADMIN"
}

f(y) := 1
