package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMetrics_AreServedWithThoseOfTheProcess(t *testing.T) {
	h := serveMetrics()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{"go_goroutines ", "process_start_time_seconds ", "go_build_info{"} {
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "\n"+want) {
			t.Errorf("status %d, no %s", answer.Code, want)
		}
	}
}
