package dashboard_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/occamy-go/occamy/dashboard"
)

func TestThePageIsThereForTheFleetAndForEachTask(t *testing.T) {
	h := dashboard.New(dashboard.Config{Fleet: newFleet()})
	for _, target := range []string{"/", "/task/r1", "/task/a%2Fb", "/task/%3Cscript%3E", "/task/?id=.."} {
		w := call(h, "GET", target)
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(w.Body.String(), `id="fleet"`) {
			t.Errorf("GET %s answers %d %s", target, w.Code, w.Header().Get("Content-Type"))
		}
		if strings.Contains(w.Body.String(), "<script>") {
			t.Errorf("GET %s has the ID in the page", target)
		}
	}
}

func TestEveryAnswerForbidsThePageWhatItDoesNotNeed(t *testing.T) {
	h := dashboard.New(dashboard.Config{Fleet: newFleet()})
	for _, target := range []string{"/", "/task/r1", "/assets/app.js", "/assets/none", "/api/task?id=r1", "/none"} {
		header := call(h, "GET", target).Header()
		policy := header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
			"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy+";", want+";") {
				t.Errorf("GET %s: the policy lacks %s: %s", target, want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("GET %s: the policy allows something unsafe: %s", target, policy)
		}
		if header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s lets the browser guess types", target)
		}
	}
}

var (
	asset  = regexp.MustCompile(`(?:src|href)="/assets/([^"]+)"|from '\./([^']+)'|import\('\./([^']+)'\)`)
	inline = regexp.MustCompile(`<script>|<style|\sstyle="|\son[a-z]+="|javascript:`)
	markup = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|createContextualFragment`)
)

func TestThePageLoadsWhatIsThereAndMakesNoMarkupOfData(t *testing.T) {
	h := dashboard.New(dashboard.Config{Fleet: newFleet()})
	entries, err := os.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile("assets/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range asset.FindAllStringSubmatch(string(text), -1) {
			name := m[1] + m[2] + m[3]
			if w := call(h, "GET", "/assets/"+name); w.Code != 200 {
				t.Errorf("%s loads %s, which is not there", e.Name(), name)
			}
		}
		if path.Ext(e.Name()) == ".html" && inline.Match(text) {
			t.Errorf("%s has %q; the policy forbids it", e.Name(), inline.Find(text))
		}
		if path.Ext(e.Name()) == ".js" && e.Name() != "uplot.js" && markup.Match(text) {
			t.Errorf("%s has %q: data must stay text", e.Name(), markup.Find(text))
		}
	}
}

func TestAllThatAPageLoadsIsUnder150KB(t *testing.T) {
	h := dashboard.New(dashboard.Config{Fleet: newFleet()})
	entries, _ := os.ReadDir("assets")
	plain, sent := 0, 0
	for _, e := range entries {
		if path.Ext(e.Name()) == ".txt" {
			continue // licences are there to read, the page does not load them
		}
		w := call(h, "GET", "/assets/"+e.Name(), "Accept-Encoding", "gzip")
		sent += w.Body.Len()
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(e.Name(), err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(e.Name(), err)
		}
		plain += len(text)
		if whole := call(h, "GET", "/assets/"+e.Name()); whole.Body.String() != string(text) {
			t.Errorf("%s differs where it is compressed", e.Name())
		}
	}
	t.Logf("%d bytes, %d as they are sent", plain, sent)
	if plain > 150_000 {
		t.Errorf("the page has %d bytes", plain)
	}
}

func TestAnAssetIsSentAgainOnlyWhenItChanged(t *testing.T) {
	h := dashboard.New(dashboard.Config{Fleet: newFleet()})
	for _, encoding := range []string{"", "gzip"} {
		first := call(h, "GET", "/assets/app.js", "Accept-Encoding", encoding)
		again := call(h, "GET", "/assets/app.js", "Accept-Encoding", encoding, "If-None-Match", first.Header().Get("ETag"))
		if first.Code != 200 || again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("encoding %q: answers %d, then %d with %d bytes", encoding, first.Code, again.Code, again.Body.Len())
		}
	}
}

func TestTheLicenceOfTheChartIsThere(t *testing.T) {
	h := dashboard.New(dashboard.Config{Fleet: newFleet()})
	if w := call(h, "GET", "/assets/uplot.LICENSE.txt"); w.Code != 200 || !strings.Contains(w.Body.String(), "MIT License") {
		t.Errorf("answers %d", w.Code)
	}
}
