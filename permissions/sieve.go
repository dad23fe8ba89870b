package permissions

// sieve rules groups out of a set without looking into it: of those that are not in
// it, mayHave is true of very few. Nearly every group that a check comes by carries
// nothing of the permission, so most of a check is such questions, and one word out of
// memory that stays in the processor's cache answers them.
//
// It never changes; [sieve.with] makes the next one. What is taken out of the set stays
// in the sieve until it is made anew, which costs time and no truth.
type sieve struct {
	words []uint64 // as many as a power of two; nil: of an empty set
	marks int      // made since it was made anew
}

// marksAWord is how many marks are made for each word, of 64 bits, before the sieve is
// made anew: one in sixteen groups passes then, one in thirty before.
const marksAWord = 4

func (s *sieve) mayHave(id [16]byte) bool {
	if len(s.words) == 0 {
		return false
	}
	h := hashID(id)
	return s.words[h>>6&uint64(len(s.words)-1)]>>(h&63)&1 != 0
}

// with returns a sieve of the set that some were added to. It is s if none were.
func (s sieve) with(added [][16]byte, set idMap) sieve {
	if len(added) == 0 {
		return s
	}
	if s.marks+len(added) > marksAWord*len(s.words) {
		return newSieve(set)
	}
	s.words = append(make([]uint64, 0, len(s.words)), s.words...)
	for _, id := range added {
		s.mark(id)
	}
	return s
}

// newSieve returns a sieve of a set, with room for as many again.
func newSieve(set idMap) sieve {
	n := 1
	for n*marksAWord < 2*set.Len() {
		n *= 2
	}
	s := sieve{words: make([]uint64, n)}
	for id := range set.All() {
		s.mark(id)
	}
	return s
}

func (s *sieve) mark(id [16]byte) {
	h := hashID(id)
	s.words[h>>6&uint64(len(s.words)-1)] |= 1 << (h & 63)
	s.marks++
}
