package halfdoor

decision contains "allow"
