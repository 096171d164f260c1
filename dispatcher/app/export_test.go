package app

import "time"

// SetPatience shortens what /healthz bears; call it before Run.
func (a *App) SetPatience(jobs time.Duration) { a.vitals.jobPatience = jobs }
