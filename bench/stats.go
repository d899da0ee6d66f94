package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// median is the middle value; of an even number the mean of the middle two. NaN
// when there is none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// percentile is the smallest value that at least p percent do not exceed.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(p / 100 * float64(len(v))))
	return v[max(rank, 1)-1]
}

func milliseconds(took []time.Duration) []float64 {
	ms := make([]float64, len(took))
	for i, d := range took {
		ms[i] = float64(d.Microseconds()) / 1000
	}
	return ms
}

// number writes three significant digits, and thousands apart.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case a >= 1e6:
		n := int64(math.Round(v/1e4) * 10)
		return fmt.Sprintf("%d %03d 000", n/1000, n%1000)
	case a >= 10000:
		n := int64(math.Round(v/100) * 100)
		return fmt.Sprintf("%d %03d", n/1000, n%1000)
	case a >= 1000:
		n := int64(math.Round(v/10) * 10)
		return fmt.Sprintf("%d %03d", n/1000, n%1000)
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a < 0.1:
		return fmt.Sprintf("%.3f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
