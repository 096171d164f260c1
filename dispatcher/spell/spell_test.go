package spell_test

import (
	"testing"

	"github.com/shortwire-sms/shortwire/dispatcher/spell"
)

func TestTheNearestWordIsOfferedAndNoneThatIsFar(t *testing.T) {
	t.Parallel()
	words := []string{"run", "setup", "check", "response_timeout"}
	for word, want := range map[string]string{
		"rnu": "run", "RUN": "run", "chekc": "check", "respons_timout": "response_timeout",
		"frobnicate": "", "": "", "replay": "",
	} {
		if got := spell.Nearest(word, words); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := spell.Hint("setpu", words); got != "; did you mean setup?" {
		t.Error(got)
	}
}
