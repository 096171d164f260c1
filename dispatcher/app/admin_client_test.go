package app_test

import (
	"strings"
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/app"
)

func TestATokenThatOthersCouldReadIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at   app.AdminAt
		want string // how the notice begins
	}{
		{app.AdminAt{URL: "http://10.0.0.7:8080", Token: "t"}, "the token goes to 10.0.0.7:8080 over plain HTTP"},
		{app.AdminAt{URL: "HTTP://Worker", Token: "t"}, "the token goes to Worker over plain HTTP"},
		{app.AdminAt{URL: "http://127.0.0.1.example", Token: "t"}, "the token goes to 127.0.0.1.example over plain HTTP"},
		{app.AdminAt{URL: "http://[2001:db8::1]:8080/x", Token: "t"}, "the token goes to [2001:db8::1]:8080 over plain HTTP"},
		{app.AdminAt{URL: "http://10.0.0.7:8080"}, ""},
		{app.AdminAt{URL: "https://10.0.0.7:8080", Token: "t"}, ""},
		{app.AdminAt{URL: "http://127.0.0.2:8080", Token: "t"}, ""},
		{app.AdminAt{URL: "http://[::1]:8080", Token: "t"}, ""},
		{app.AdminAt{URL: "http://localhost", Token: "t"}, ""},
	} {
		got := c.at.Notice()
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.at.URL, got, c.want)
		}
	}
}
