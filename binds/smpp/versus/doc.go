// Package versus compares our session with gosmpp's own, used as its README
// shows. It is a module apart, because that session needs modules that
// Shortwire does not:
//
//	go -C binds/smpp/versus test -bench . -count 6
package versus
