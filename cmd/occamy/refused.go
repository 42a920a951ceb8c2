package main

// refusedCredentials is the obstacle that a broker takes other credentials than
// those that were given: what it says and its hint fit these.
func refusedCredentials(is func(error) bool, s settings) obstacle {
	o := obstacle{is: is}
	switch {
	case s.Token != "" || s.TokenFile != "":
		o.says, o.hint = "it refuses the token", "--token-file or OCCAMY_BROKER_TOKEN gives another; does it want a token, and not a user and a password?"
	case s.User != "":
		o.says, o.hint = "it refuses the user "+quote(s.User)+" with this password", "--user and --password-file, or OCCAMY_BROKER_USER and OCCAMY_BROKER_PASSWORD, give others"
	case s.Creds != "":
		o.says, o.hint = "it refuses the JWT in "+s.Creds, "it may have expired or been revoked; --creds or OCCAMY_BROKER_CREDS names another file"
	case s.NKey != "":
		o.says, o.hint = "it refuses the NKey in "+s.NKey, "the broker's operator adds its public key; --nkey or OCCAMY_BROKER_NKEY names another file"
	case hasCredentials(s.Broker):
		o.says, o.hint = "it refuses the credentials in the address", "special characters in them are written as %40 and the like; a user, a password or a token may be given apart, see --help"
	default:
		o.says, o.hint = "it asks for credentials, and there are none", "set OCCAMY_BROKER_USER and OCCAMY_BROKER_PASSWORD (or --user and --password-file), or what else the broker asks for; see --help"
	}
	return o
}
