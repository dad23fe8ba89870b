package permissions

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Whoever has a grant passes, whatever came and went before, in every version of the
// book; and of those that have none few do.
func TestTheSieveLosesNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := NewBook().Edit()
		has := map[int]bool{}
		check := func(h *holders, has map[int]bool) {
			passed, others := 0, 0
			for n := range 4000 {
				switch may := h.sieve.mayHave(groupID(n).Bytes()); {
				case has[n] && !may:
					t.Fatalf("group %d has a grant, and the sieve says that it has none", n)
				case !has[n] && may:
					passed++
					fallthrough
				case !has[n]:
					others++
				}
			}
			// One in sixteen, and what is gone since the sieve was made.
			if len(has) < 1000 && passed > others/2 {
				t.Fatalf("%d of %d groups without a grant pass, %d have one", passed, others, len(has))
			}
		}
		old, then := *NewBook(), map[int]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "versions") {
			from := rapid.IntRange(0, 2000).Draw(t, "from")
			for n := range rapid.IntRange(0, 300).Draw(t, "many") {
				n += from
				if rapid.IntRange(0, 9).Draw(t, "leaves") == 0 {
					e.Remove(GrantID(fmt.Sprint(n)))
					delete(has, n)
				} else {
					e.Put(grant(GrantID(fmt.Sprint(n)), Audit, group(n)))
					has[n] = true
				}
			}
			book := e.Book()
			h, _ := book.holders.Get(Audit)
			check(&h, has)
			h, _ = old.holders.Get(Audit)
			check(&h, then)
			old, then = *book, map[int]bool{}
			for n := range has {
				then[n] = true
			}
		}
	})
}

// A sieve that is added to for ever stays as large as what it is of, not as what came by.
func TestTheSieveDoesNotGrowWithWhatHasGone(t *testing.T) {
	e := NewBook().Edit()
	for n := range 10_000 {
		e.Put(grant(GrantID(fmt.Sprint(n)), Audit, group(n)))
		e.Book()
		e.Remove(GrantID(fmt.Sprint(n - 10)))
	}
	h, _ := e.Book().holders.Get(Audit)
	if h.groups.Len() != 10 || len(h.sieve.words) > 16 || h.sieve.marks > 16*marksAWord {
		t.Errorf("a sieve of %d groups has %d words and %d marks", h.groups.Len(), len(h.sieve.words), h.sieve.marks)
	}
}
