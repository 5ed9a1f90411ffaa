package halfdoor

decision := d if d := again

again := x if x := decision
