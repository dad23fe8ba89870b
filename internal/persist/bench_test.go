package persist

import (
	"runtime"
	"testing"
)

const million = 1_000_000

func ids(n int) [][16]byte {
	out := make([][16]byte, n)
	for i := range out {
		out[i] = idOf(i)
	}
	return out
}

func filled(keys [][16]byte) Map[[16]byte, uint32] {
	e := Map[[16]byte, uint32]{}.Edit()
	for i, k := range keys {
		e.Set(k, uint32(i))
	}
	return e.Map()
}

// BenchmarkMapFill reports the time and the memory of one entry among a million.
func BenchmarkMapFill(b *testing.B) {
	keys := ids(million)
	for b.Loop() {
		var before, after runtime.MemStats
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		m := filled(keys)
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/million, "B/entry")
		b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/million, "objects/entry")
		b.StartTimer()
		runtime.KeepAlive(m)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/entry")
}

func BenchmarkMapGet(b *testing.B) {
	keys := ids(million)
	m := filled(keys)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := m.Get(keys[i]); !ok {
			b.Fatal("lost")
		}
		if i += 7919; i >= million {
			i -= million
		}
	}
}

// BenchmarkMapPublish is what one full transaction costs: 120 entries of a million
// change, and a new version is published.
func BenchmarkMapPublish(b *testing.B) {
	keys := ids(million)
	e := filled(keys).Edit()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		for range 120 {
			e.Set(keys[i], uint32(i))
			if i += 7919; i >= million {
				i -= million
			}
		}
		e.Map()
	}
}

func BenchmarkVectorAppend(b *testing.B) {
	for b.Loop() {
		e := Vector[[8]uint64]{}.Edit()
		for i := range uint64(million) {
			e.Append([8]uint64{i})
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/million, "ns/entry")
}

func BenchmarkVectorAt(b *testing.B) {
	e := Vector[uint64]{}.Edit()
	for i := range uint64(million) {
		e.Append(i)
	}
	v := e.Vector()
	i := 0
	for b.Loop() {
		if v.At(i) != uint64(i) {
			b.Fatal("lost")
		}
		if i += 7919; i >= million {
			i -= million
		}
	}
}

func BenchmarkVectorPublish(b *testing.B) {
	e := Vector[[8]uint64]{}.Edit()
	for i := range uint64(million) {
		e.Append([8]uint64{i})
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		for range 120 {
			e.Ref(i)[0]++
			if i += 7919; i >= million {
				i -= million
			}
		}
		e.Vector()
	}
}
