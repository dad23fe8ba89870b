package permissions

import (
	"flag"
	"os"
	"testing"
)

// TestMain makes the laws look at hundreds of random states. The nightly run gives a
// number of its own, as in -rapid.checks=10000.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "300"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
