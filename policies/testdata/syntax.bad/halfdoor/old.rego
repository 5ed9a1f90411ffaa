package halfdoor.old

allow { input.purpose == "TREAT" }
