package demo

import "slices"

// The word lists of the sandbox. All of it is invented; telephone numbers are
// from the 555-01xx range kept for fiction, mail addresses end in .example (RFC
// 2606), social security numbers begin with 000, which is never issued.

var familyNames = []string{
	"Oddwick", "Thistlemere", "Brambleton-Quay", "Zogolsky", "Fennimoor", "Quillfeather", "Ostlebury", "Marrowgate",
	"Pennywhist", "Vandersloop", "O'Larkin-Doo", "Snickelby", "Hollowcroft", "Zwibbelmann", "Ångstrup", "Larchington",
	"Muddlethwaite", "Tumblebrook", "Grünspatz", "Wexmoor", "Candlewick", "Yarrowby", "Dapplestone", "Krøplund",
	"Featherstonehaw", "Bittersby", "Nettlefold-Ames", "Peregoose", "Umberleigh", "Rookhampton", "Señalba", "Inkpenny",
	"Jollifant", "Copperthwaite", "Whimsley", "de la Flûte", "Gobbleshaw", "Mistlethorn", "Sandwhistle", "Evenmoor",
}

var givenNames = []struct{ name, gender string }{
	{"Quillan", "male"}, {"Tamsibel", "female"}, {"Orrindo", "male"}, {"Pellora", "female"}, {"Wrennah", "female"},
	{"Fenric", "male"}, {"Zoëlle", "female"}, {"Bardolin", "male"}, {"Ismelda", "female"}, {"Corvane", "other"},
	{"Thaddeo", "male"}, {"Luminda", "female"}, {"Ansgard", "male"}, {"Marvola", "female"}, {"Jespero", "male"},
	{"Odalisse", "female"}, {"Perrin-Jo", "other"}, {"Hestrid", "female"}, {"Valdomir", "male"}, {"Sunniva-Kay", "female"},
	{"Gawain-Lee", "male"}, {"Ottoline-May", "female"}, {"Rufusto", "male"}, {"Elowenna", "female"}, {"Dmitrios-Al", "male"},
	{"Nerissa-Jun", "female"}, {"Balthazin", "male"}, {"Calliopa", "female"}, {"Evandro-Pip", "unknown"}, {"Mirabelka", "female"},
}

var streetNames = []string{"Puddle Lane", "Marmalade Street", "Old Kettle Road", "Goosefoot Row", "Lantern Close", "Upper Biscuit Hill", "Tin Whistle Way", "Moth Crescent"}

var cityNames = []struct{ city, state, code string }{
	{"Little Spoonford", "ZA", "00017"}, {"Grimbleport", "ZB", "00231"}, {"Ashwhistle", "ZA", "00042"}, {"New Dollop", "ZC", "00508"}, {"Tarnholm-on-Wye", "ZB", "00249"},
}

var languages = []struct{ code, display string }{
	{"en", "English"}, {"es", "Spanish"}, {"fr", "French"}, {"ar", "Arabic"}, {"vi", "Vietnamese"},
}

var organizationNames = []string{"Spoonford General Hospital", "Grimbleport Clinics", "Ashwhistle Family Practice", "Moth Crescent Counselling Centre"}

var payerNames = []string{"Umbrella & Sons Health Mutual", "Northern Dollop Insurance", "Patchwork Care Plan"}

var locationNames = []string{"Main Desk", "Clinic Room 4", "Imaging Suite B", "Day Ward", "Counselling Room 2", "Telehealth Room"}

// A service is what an appointment may be for. Its name is what a scheduler
// sees; that name is telling in some of them, as in life.
var services = []struct{ code, display, specialty string }{
	{"svc-100", "General review", "General practice"},
	{"svc-210", "Heart clinic", "Cardiology"},
	{"svc-220", "Skin clinic", "Dermatology"},
	{"svc-305", "Imaging", "Radiology"},
	{"svc-412", "Counselling", "Psychiatry"},
	{"svc-500", "Vaccination", "General practice"},
}

// Clinical words: made up, so that one found anywhere can only have come from
// the clinical part of the sandbox.

var conditions = []struct{ code, display string }{
	{"cond-014", "Thrimic fever"}, {"cond-022", "Velmarian syndrome"}, {"cond-031", "Quorrel arrhythmia"},
	{"cond-047", "Ombral melancholy"}, {"cond-052", "Gallowrash, type 3"}, {"cond-068", "Low serrin of pregnancy"},
}

var medicines = []struct{ code, display string }{
	{"med-101", "Oxtrindol 5 mg tablet"}, {"med-117", "Sorbequin 250 mg capsule"}, {"med-120", "Threnoprilat 10 mg tablet"}, {"med-133", "Lumisertal 50 mg tablet"},
}

var remarks = []string{
	"Please call back before noon, worried about side effects of oxtrindol.",
	"Wife does not know about the gallowrash; do not leave a message at home.",
	"Needs a wheelchair since the last bout of thrimic fever.",
	"Asked whether sorbequin is safe with a low serrin.",
	"Missed two visits because of ombral melancholy. Handle gently.",
	"Result of the velmarian panel is back \"positive\"; doctor will tell.",
	"Stopped lumisertal on her own.\nWill need a new plan.",
	"Fasting before the quorrel test; path C:\\results\\4 \u2014 see scan.",
}

// ClinicalWords returns the invented words of which at least one, in lower case,
// is in every clinical remark, condition and medicine of the sandbox, and in
// nothing else. A test that finds one where no clinical data may be has found
// a leak.
func ClinicalWords() []string {
	return slices.Clone(clinicalWords)
}

var clinicalWords = []string{"thrimic", "velmarian", "quorrel", "ombral", "gallowrash", "serrin", "oxtrindol", "sorbequin", "threnoprilat", "lumisertal"}
