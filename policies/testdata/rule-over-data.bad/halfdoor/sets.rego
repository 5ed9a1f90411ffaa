package halfdoor.datasets

desk := {"resources": {"Patient": {"telecom": "keep"}}}
