package assist

import "github.com/occamy-go/occamy/assist/internal/ledger"

// UnitError is the error of a job that ended since a unit has failed too often, or
// was too often with an assistant that was lost. The reason is text, as the unit
// may have failed on another server. A client finds the whole of it in the reason
// of the rejection.
type UnitError = ledger.UnitError

// ErrPlan is wrapped by the error of a job whose Units yields fewer units than it
// did in an earlier attempt.
var ErrPlan = ledger.ErrPlan
