package demo

import "strings"

// Department is a part of the company: an organizational unit with a group.
type Department struct {
	Name   string // of the unit
	Group  string // of the group
	Code   string // departmentNumber
	Weight int    // how much of the company it is
	Titles []string
}

var departments = []Department{
	{"Workshop", "workshop", "10", 26, []string{"Barometer Maker", "Brass Turner", "Glassblower", "Anemometer Fitter", "Apprentice", "Shift Lead"}},
	{"Engineering", "engineering", "20", 20, []string{"Instrument Engineer", "Firmware Engineer", "Sensor Physicist", "Test Engineer", "Staff Engineer"}},
	{"Forecasting", "forecasting", "30", 8, []string{"Meteorologist", "Cloud Classifier", "Data Scientist", "Night Forecaster"}},
	{"Quality", "quality", "40", 8, []string{"Calibration Technician", "Quality Inspector", "Salt Spray Tester"}},
	{"Sales", "sales", "50", 12, []string{"Account Manager", "Harbor Representative", "Sales Engineer", "Trade Fair Host"}},
	{"Logistics", "logistics", "60", 10, []string{"Dispatcher", "Packer", "Customs Clerk", "Fleet Planner"}},
	{"Finance", "finance", "70", 5, []string{"Accountant", "Controller", "Payroll Clerk"}},
	{"People and Culture", "people-and-culture", "75", 4, []string{"Recruiter", "People Partner", "Trainer"}},
	{"Information Technology", "it", "80", 5, []string{"Systems Engineer", "Service Desk Agent", "Network Engineer", "Security Engineer"}},
	{"Management", "management", "90", 2, []string{"Director", "Chief of Staff", "Company Secretary"}},
}

// site is a place of work with its group and telephone prefix.
type site struct {
	name, group, phone string
	weight             int // how much of the company is there
}

var sites = []site{
	{"Hamburg", "site-hamburg", "+49 40 555", 40},
	{"Lyon", "site-lyon", "+33 4 5550", 18},
	{"Gdańsk", "site-gdansk", "+48 58 555", 16},
	{"Porto", "site-porto", "+351 22 555", 12},
	{"Leeds", "site-leeds", "+44 113 555", 9},
	{"Tromsø", "site-tromso", "+47 77 55 5", 5},
}

var projects = []string{
	"Quiet Anemometer", "Storm Glass", "Pocket Barometer", "Lighthouse Feed", "Rain Gauge Nine", "Fogbank", "North Sea Buoys",
	"Copper Weathervane", "Sunshine Recorder", "Dew Point", "Harbor Display", "Barograph Paper", "Sextant", "Balloon Sonde",
	"Hailstone Archive", "Alpine Network", "Tide Table", "Cloud Atlas", "Lightning Counter", "Frost Alarm",
}

// cast are those with a part in the demonstration. They stay as long as the
// company does, so that a pasted command finds them. The first of a department
// is its head.
var cast = []struct {
	given, sur, department, site, title string
}{
	{"Henrietta", "Finch", "Management", "Hamburg", "Managing Director"},
	{"Jürgen", "Müller", "Information Technology", "Hamburg", "Head of Information Technology"},
	{"Anna", "Smith", "Sales", "Leeds", "Head of Sales"},
	{"Zofia", "Wiśniewska", "Engineering", "Gdańsk", "Head of Engineering"},
	{"Tomé", "Araújo", "Workshop", "Porto", "Head of the Workshop"},
	{"Ingrid", "Solbakken", "Forecasting", "Tromsø", "Chief Meteorologist"},
	{"Baptiste", "Lefèvre", "Quality", "Lyon", "Head of Quality"},
	{"Marit", "Østby", "Logistics", "Hamburg", "Head of Logistics"},
	{"Oluwaseun", "Adeyemi", "Finance", "Leeds", "Chief Financial Officer"},
	{"Clémence", "Girard", "People and Culture", "Lyon", "Head of People and Culture"},
	{"Tariq", "Nasser", "Information Technology", "Hamburg", "Security Engineer"},
	{"Pia", "Sommer", "Information Technology", "Hamburg", "Service Desk Agent"},
}

var givenNames = strings.Fields(`
	Ada Adrian Agata Aino Alba Aleksander Alice Amélie Amina Anders André Anita Antoni Arthur Astrid Aurélie Beatriz Benedikt Bjørn
	Bruno Carla Carlos Caroline Cécile Chloé Claire Clara Daniel Daria David Diana Diego Dominik Dorothea Edith Eduardo Eleanor
	Eliza Elodie Emil Emma Erik Esther Eva Fatima Felix Filip Finn Florence Frances Freya Gabriel George Gisèle Grace Greta
	Gustav Hamza Hanna Harriet Hedda Hélène Henrik Hugo Ida Ines Irène Isak Ivo Jakub Jan Jana Jasper Joana João Johanna Jonas
	José Julia Kaja Karim Karl Katarzyna Kerstin Klara Lars Laura Leila Leon Lena Linnea Louis Lucas Lucía Ludwig Łukasz
	Maja Małgorzata Manon Marcel Maria Marius Marta Martin Mateusz Mathilde Maud Maya Mehmet Mia Michael Mila Moritz Nadia
	Natalia Nicolas Nils Nina Noah Nora Olga Oliver Oskar Otto Pauline Paweł Pedro Petra Philippa Piotr Rafael Raquel Rebecca
	Robin Rosa Ruben Ruth Sabine Salma Samuel Sanne Sara Sébastien Sigrid Simon Sofia Solène Sören Stefan Sven Tea Teresa
	Theo Thérèse Tiago Tilda Tobias Tomasz Ulrike Vera Victor Vivian Wanda Wiktor William Yara Yusuf Yvonne Zeynep Zoë`)

var surnames = strings.Fields(`
	Almeida Andersen Andrade Bąk Baker Barbosa Bauer Becker Berg Bernard Bianchi Blanc Böhm Bonnet Braun Brun Cardoso Carvalho
	Chapman Chevalier Clarke Costa Cunha Dąbrowski Dahl David Delacroix Dias Dietrich Dubois Duarte Dupont Duval Ellis Engel
	Eriksen Fabre Faria Fischer Fletcher Fontaine Foster Fournier Frank Freitas Friedrich Garnier Gauthier Gomes Gonçalves
	Górski Graf Gray Grabowski Günther Haas Hagen Halvorsen Hansen Harris Hartmann Haugen Henry Herrmann Hoffmann Holm Horn
	Howard Hughes Huber Iversen Jackson Jankowski Jansen Jaworski Johansen Joly Kaiser Kamiński Karlsen Kaya Keller Khan
	Klein Kowalczyk Kozłowski Krämer Kraus Krawczyk Kristiansen Krüger Kuhn Lambert Lange Larsen Laurent Lefort Leroy Lewandowski
	Lind Lopes Lorenz Ludwig Lund Machado Maier Marchand Marques Martin Mason Matos Mazur Mendes Mercier Meyer Moe Moreau
	Morel Morgan Moss Murphy Nguyen Nicolas Nilsen Nogueira Nowak Nowicki Olsen Oliveira Otto Pavić Pedersen Pereira Perrin
	Petit Pfeiffer Pinto Piotrowski Pohl Porter Ramos Rasmussen Reid Renard Ribeiro Richter Robert Rocha Roth Rousseau Roux
	Sadowski Santos Sauer Schäfer Schmitt Schneider Scholz Schröder Schubert Schulz Schwarz Seidel Silva Simon Smith Sørensen Souza
	Stein Strand Szymański Teixeira Thomas Turner Urban Vasquez Vidal Vieira Vogel Voß Wagner Walsh Walter Watson Weber Weiß
	Werner West Winkler Wolff Wood Woźniak Wright Wróbel Yılmaz Young Zając Zieliński Zimmermann`)

// plain writes the letters of a name in ASCII, as login names are written.
var plain = strings.NewReplacer(
	"ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "ø", "o", "å", "aa", "æ", "ae", "é", "e", "è", "e", "ê", "e", "ë", "e", "á", "a", "à", "a",
	"ã", "a", "â", "a", "í", "i", "ì", "i", "î", "i", "ı", "i", "ó", "o", "ò", "o", "õ", "o", "ô", "o", "ú", "u", "ù", "u", "ç", "c", "ć", "c",
	"č", "c", "ń", "n", "ñ", "n", "ł", "l", "ś", "s", "š", "s", "ź", "z", "ż", "z", "ž", "z", "ą", "a", "ę", "e", " ", "-",
)

// ascii folds a name for logins and mail addresses.
func ascii(name string) string { return plain.Replace(strings.ToLower(name)) }
