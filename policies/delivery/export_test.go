package delivery

// Persisted is the folder of the last good bundle.
func (d *Delivery) Persisted() string { return d.options.Persist }
