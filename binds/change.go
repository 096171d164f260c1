package binds

// Change puts another configuration of the same route in force.
func (p *Pool) Change(Config) {}
