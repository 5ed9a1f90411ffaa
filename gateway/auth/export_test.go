package auth

// Remembered is the number of verified tokens that are remembered.
func (a *Authenticator) Remembered() int {
	a.memory.mu.RLock()
	defer a.memory.mu.RUnlock()
	return len(a.memory.index)
}
