"""The wordings of a revocation in English, Spanish, French, Portuguese, German and Italian, for `revocation`.  Data.

All words are as `revocation` reads them: in lower case, without accents, apostrophes kept.  A pattern is a sequence of slots, with
alternatives (`stop|quit`) or a class of words (`<msgs>`); `?`: at most one, `*`: any number, `+`: at least one.  Each is
unambiguous as a whole sentence, whatever the conversation is about: "keine Nachrichten" may be an answer, "keine Nachrichten mehr"
is none.
"""

from collections.abc import Mapping

#: Each means it, in any number and order, also after or before `ASIDES`.
CLEAR = frozenset({"stop", "stopall", "stopp", "unsubscribe", "optout", "abmelden"})
#: These mean it beside one of `CLEAR`: "STOP END CANCEL", "stop all".
BESIDE_CLEAR = frozenset({"all", "end", "quit", "cancel", "revoke"})
#: Each means it as the whole message, since it is what such a sender is told to reply; in a sentence it means something else.
LONE = frozenset(
    {
        *("alto", "baja", "parar"),
        *("arret", "arretez", "arreter", "desabonner", "desabonnement", "desinscrire", "desinscription"),
        *("pare", "parem", "sair", "descadastrar"),
        *("stoppen", "abbestellen"),
        *("basta", "cancellami", "cancellatemi", "disiscrivimi", "disiscrivetemi"),
    }
)
#: Polite words, which change no sentence wherever they stand.
PLEASE = frozenset({"please", "pls", "plz", "plse", "kindly", "bitte", "svp", "stp", "porfavor", "porfa"})
PLEASES = ("por favor", "s'il vous plait", "s'il te plait", "per favore", "per piacere")
#: "Don't text me now" is about now.
NEGATIONS = frozenset({"not", "never", "no", "ne", "nao", "nicht", "keine", "non"})
NOWS = frozenset({"now", "ahora", "maintenant", "agora", "jetzt", "ora", "adesso"})
#: Words that are read as others.
EXPANSIONS: Mapping[str, tuple[str, ...]] = {
    "don't": ("do", "not"),
    "dont": ("do", "not"),
    "i'm": ("i", "am"),
    "im": ("i", "am"),
    "i'd": ("i", "would"),
    "wanna": ("want", "to"),
    "u": ("you",),
    "ur": ("your",),
    "txt": ("text",),
    "txting": ("texting",),
}

#: Beside these, too, a word of `LONE` means it.
WRONG_NUMBERS = """
    wrong number; wrong person; sorry wrong number; you have the wrong number; you have the wrong person; you got the wrong number;
    this is the wrong number; it is the wrong number
    numero equivocado; numero incorrecto; es numero equivocado; tiene el numero equivocado; tienen el numero equivocado
    mauvais numero; faux numero; erreur de numero; vous avez le mauvais numero; vous vous trompez de numero
    numero errado; e engano; foi engano
    falsche nummer; sie haben die falsche nummer
    numero sbagliato; ha sbagliato numero; avete sbagliato numero; hai sbagliato numero
"""
#: Sentences that mean nothing by themselves beside a revocation, and openings and ends of one.
ASIDES = """
    hi; hey; hello; yo; ok; okay; just; sorry; thanks; thank you; thx; ty; bye; goodbye; now; right now; immediately; already; at once; asap;
    no thanks; no thank you; not interested; i am not interested; i said; i have said;
    who is this; who are you; who dis; i do not know you; i do not know who you are; i do not know who this is; i do not want this;
    i do not want these; i do not want it
    hola; gracias; muchas gracias; oiga; oigan; disculpe; perdon; no me interesa; no estoy interesado; no estoy interesada; quien es; quien eres; quien habla
    bonjour; salut; merci; merci beaucoup; pas interesse; pas interessee; je ne suis pas interesse; je ne suis pas interessee; qui est ce; qui etes vous
    ola; oi; obrigado; obrigada; desculpe; nao tenho interesse; nao estou interessado;
    nao estou interessada; quem e
    hallo; guten tag; danke; vielen dank; danke schon; kein interesse; ich habe kein interesse;
    nicht interessiert; wer ist das; wer sind sie; wer bist du; sofort
    ciao; salve; buongiorno; grazie; grazie mille; scusi;
    non mi interessa; non sono interessato; non sono interessata; chi e; chi sei; chi siete
"""
#: Openings of a whole sentence of revocation.
OPENINGS = """
    stop; but; and; so; again; once again; i want you to; i need you to; i would like you to; i told you to; i asked you to; you need to; you guys;
    could you; can you; would you; will you; for the last time
    ya; quiero que; le pido que; les pido que; pueden; podrian; puede; podria
    merci de; veuillez; je vous demande de; je vous prie de; pouvez vous; pourriez vous; mais; et
    mas; pode; podem; poderia; poderiam; e
    aber; und; jetzt; konnen sie; konnt ihr; konntest du
    ma; e; vi prego di; la prego di; ti prego di; potete; puo; potreste
"""
#: Ends of a whole sentence of revocation.
ENDS = """
    again; ever; ever again; no more; any more; anymore; any longer; more; any; from now on; forever; permanently; for good; and thanks; and thank you
    ya; nunca; nunca mas; jamas; de ustedes; de vosotros; de usted; inmediatamente; ahora
    de votre part; maintenant; immediatement; tout de suite; desormais
    ja; agora; de voces; imediatamente; nunca mais
    jetzt; ab sofort; nie wieder; endlich; von ihnen; von euch
    ora; subito; adesso; da voi; immediatamente; mai piu
"""

CLASSES: Mapping[str, str] = {
    # English
    "me": "me us this my our the number phone cell cellphone mobile line",
    "the": "any these those this your the more all further other such of a anymore text stupid annoying damn fucking",
    "msgs": "texts messages msgs sms smses txts mms spam",
    "texting": "texting messaging contacting spamming harassing bothering smsing msging sms",
    "kind": "text texting sms mailing contact contacts call calling phone marketing messaging message distribution subscriber email",
    # Spanish
    "los": "mas sus tus los las estos esos estas sus su tu la el ese este de texto ningun otro otros promocionales publicitarios",
    "mensajes": "mensajes sms textos msjs msjes spam publicidad propaganda mensajitos",
    "mensaje": "mensaje mensajes sms texto textos msj msjs msjes spam publicidad propaganda mensajito mensajitos",
    "dejen": "deja deje dejen dejad para pare paren parad",
    # French
    "des": "de d'autres des les vos ces tes aucun aucune autre autres",
    "sms": "messages message sms texto textos mms spam spams pub pubs publicite publicites",
    "smss": "messages sms textos mms spam spams pub pubs publicites",
    "arretez": "arrete arretez arreter d'arreter cesse cessez cesser",
    # Portuguese
    "as": "mais as os suas seus essas esses estas estes de texto nenhum nenhuma outra outras sua",
    "mensagens": "mensagem mensagens sms torpedo torpedos msg msgs spam propaganda propagandas",
    "mensagenss": "mensagens sms torpedos msgs spam propagandas",
    "parem": "pare parem para deixe deixem",
    # German
    "diese": "weitere weiteren weiterer diese dieser solche solchen ihre ihren eure euren deine deinen die der den",
    "nachrichten": "sms nachricht nachrichten textnachricht textnachrichten mitteilungen kurznachrichten werbung spam messages",
    "nachrichtenn": "sms nachrichten textnachrichten mitteilungen kurznachrichten werbung spam messages",
    # Italian
    "i": "piu i gli le altri altre vostri vostre vostra suoi tuoi questi questo questa dei di il la nessun nessuno",
    "messaggi": "messaggio messaggi sms messaggini messaggino msg spam pubblicita",
    "messaggii": "messaggi sms messaggini spam pubblicita",
    "smettetela": "smettila smettetela smetti smettete smetta smetterla finitela finiscila basta piantala piantatela",
}

PATTERNS = """
    stop|quit|cease <texting> <me>*
    stop|quit|cease sending <me>* <the>* <msgs>+ to? <me>*
    stop|quit|end|cancel <the>* <msgs>+ to? <me>*
    stop|quit|cease sending me|us these|those|this|them|stuff|anything|things
    stop|cease all communication|communications|contact
    stop|enough with <the>* <msgs>+
    do not ever? text|message|contact|sms|msg|spam <me>+
    never ever? text|message|contact|sms|msg|spam <me>+
    do not ever? send <me>+ <the>* <msgs>+
    never ever? send <me>+ <the>* <msgs>+
    do not send any|more|further <the>* <msgs>+ to? <me>*
    take|remove|delete|get <me>+ off|from|out of? your|the|this|all? <kind>* list|lists|system|database|contacts
    remove|delete me|us
    take me|us off
    remove|delete my|this number
    unsubscribe <me>* from|of? <the>* <msgs>* list|lists?
    opt <me>* out from|of? <the>* <msgs>* list|lists?
    i? am? opting out from|of? <the>* <msgs>*
    i? do not want|wish|need|like to? get|receive|have|see? <the>* <msgs>+ from? you? guys?
    i? no longer want|wish|need to? get|receive|have|see? <the>* <msgs>+ from? you? guys?
    i? do not want|wish|like to? be texted|contacted|messaged by? you? guys?
    i? do not want|wish|like to hear from you guys?
    i want|wish|would|need like? to? unsubscribe from|of? <the>* <msgs>* list?
    i want|wish|would|need like? to? opt out from|of? <the>* <msgs>* list?
    i want|wish|would|need like? to? be removed|taken off? from? your|the|this? <kind>* list?
    no more <the>* <msgs>+ from|for|to? you|me|us?
    lose|forget|delete my|our|this number
    leave me|us alone
    i? hereby? revoke|withdraw my|all? consent|permission to? text|message|contact? me?
    cease and desist

    <dejen> de escribirme|escribirnos|contactarme|molestarme|textearme|acosarme|spamearme|mensajearme
    <dejen> de enviar|enviarme|enviarnos|mandar|mandarme|mandarnos <los>* <mensaje>+
    ya? no me escriba|escriban|escribas|escribais|contacte|contacten|contactes|textee|texteen|textees|moleste|molesten|molestes mas?
    ya? no me envie|envien|envies|enviais|mande|manden|mandes|mandeis <los>* <mensaje>+ mas?
    no envien|envie|envies|enviar|manden|mande|mandes|mandar mas <los>* <mensaje>+
    no me envien|envie|envies|manden|mande|mandes mas? nada mas?
    no me vuelva|vuelvan|vuelvas a escribir|contactar|textear|molestar
    no me vuelva|vuelvan|vuelvas a enviar|mandar <los>* <mensaje>+
    no vuelva|vuelvan|vuelvas a escribirme|contactarme|molestarme|textearme
    ya? no quiero|deseo|necesito|quisiera mas? recibir|tener? <los>* <mensaje>+ mas?
    ya? no quiero|deseo que me escriban|contacten|manden|envien <los>* <mensaje>* mas?
    no mas <los>* <mensajes>+
    basta|alto de|con|a|ya* <los>* <mensajes>+
    quitame|quiteme|quitenme|sacame|saqueme|saquenme|eliminame|elimineme|eliminenme|borrame|borreme|borrenme|retireme|retirenme|remuevanme de su|sus|la|las|tu|esta|vuestra lista|listas|base|sistema de? datos|contactos|difusion|distribucion|mensajes|sms?
    borra|borre|borren|elimina|elimine|eliminen|olvida|olvide|olviden|quita|quite|quiten mi|este numero de? su|sus|la|tu|esta? lista|listas|base|sistema?
    quiero|deseo|quisiera|necesito? darme|dar|darse|denme|deme|dame|dadme de baja de la|su|esta|los|sus|estos lista|mensajes|sms
    cancela|cancele|cancelen|cancelar|deten|detenga|detengan|detener|suspenda|suspendan <los>* <mensajes>+
    dejame|dejeme|dejenme|dejadme|dejanos|dejenos en paz
    dejame|dejeme|dejenme|dejadme tranquilo|tranquila

    <arretez> de m'ecrire|m'importuner|m'embeter|m'ennuyer|m'emmerder
    <arretez> de me|nous contacter|recontacter|texter|spammer|harceler|deranger|solliciter|ecrire
    <arretez> de|d' m'envoyer|envoyer|m'adresser <des>* <sms>+
    <arretez> d'envoyer <des>* <sms>+
    <arretez> de nous envoyer <des>* <sms>+
    <arretez> avec|aux|les|vos|ces|tes+ <smss>+
    stop|stoppez avec|aux|a|les|vos|ces|tes* <smss>+
    ne m'ecrivez|m'ecris plus|jamais
    ne plus|jamais m'ecrire|m'importuner
    ne plus|jamais me|nous contacter|recontacter|texter|solliciter|ecrire|deranger|spammer
    ne plus|jamais m'envoyer|m'adresser <des>* <sms>+
    ne me|nous contactez|contacte|textez|texte|derangez|derange|sollicitez|recontactez|recontacte|spammez plus|jamais
    ne m'envoyez|m'envoie|m'envoies|m'envois|m'adressez plus|jamais <des>* <sms>+
    ne m'envoyez|m'envoie|m'envoies|m'ecrivez|m'ecris plus|jamais rien
    je ne veux|souhaite|desire|voudrais plus|pas recevoir|avoir <des>* <sms>+
    je ne veux|souhaite|desire plus de|aucun|vos+ <sms>+
    je ne veux|souhaite|desire plus|pas etre contacte|contactee|sollicite|sollicitee|derange|derangee
    retirez|retire|enlevez|enleve|supprimez|supprime|effacez|efface|rayez|otez|sortez moi|nous de|des votre|vos|la|cette|ta|ces? liste|listes|fichier|fichiers|base|contacts de? diffusion|contacts|sms|d'envoi?
    supprimez|supprime|effacez|efface|oubliez|oublie|enlevez|retirez|perdez mon|ce numero de? votre|vos|la|cette? liste|listes|fichier|fichiers|base?
    desabonnez|desabonne|desinscrivez|desinscris moi de|des? votre|vos|la|cette|ces? liste|sms|messages?
    je? veux|souhaite|voudrais|desire? me desabonner|desinscrire de|des? votre|vos|la|cette|ces? liste|sms|messages?
    laissez|laisse moi|nous tranquille|tranquilles
    laissez|laisse moi|nous en paix
    fichez|foutez|fiche|fous moi|nous la paix

    <parem> de me? enviar|mandar me? <as>* <mensagens>+ para? mim|este? numero?
    <parem> de me? escrever|contatar|contactar|incomodar|perturbar|importunar|chatear me?
    nao me mande|mandem|manda|mandes|envie|enviem|envia|envies <as>* <mensagens>+ mais?
    nao mande|mandem|manda|envie|enviem|envia mais <as>* <mensagens>+
    nao mande|mandem|manda|envie|enviem|envia <as>* <mensagens>+ mais
    nao me mande|mandem|manda|envie|enviem|envia mais nada
    nao me escreva|escrevam|escreve|contate|contatem|contacte|contactem|incomode|incomodem|perturbe|perturbem mais?
    eu? nao quero|desejo|preciso|gostaria mais? de? receber|ter? <as>* <mensagens>+ mais?
    chega|basta de <as>* <mensagens>+
    me tire|tirem|tira|remova|removam|remove|retire|retirem|exclua|excluam|apague|apaguem da|de|das|dessa|desta|do sua|suas|vossa|seu? lista|listas|base|cadastro|contatos
    tire|tirem|tira|remova|removam|remove|retire|retirem|exclua|excluam|apague|apaguem me da|de|das|dessa|desta|do sua|suas|vossa|seu? lista|listas|base|cadastro|contatos
    apague|apaguem|remova|removam|remove|exclua|excluam|esqueca|esquecam|delete|deletem|tira|tire|tirem|retire|retirem o? meu|este|esse numero da|de|dessa|desta? sua|suas? lista|listas|base|cadastro?
    quero|desejo|gostaria? de? me? sair|descadastrar da|desta|dessa|de sua? lista
    quero|desejo|gostaria de? me? descadastrar
    me descadastre|descadastrem|descadastra
    cancele|cancelem|cancela|cancelar|pare|parem|parar|suspenda|interrompa com? <as>* <mensagenss>+
    me deixe|deixem|deixa em paz
    deixe|deixem|deixa me em paz

    hor|hore|hort|horen|hoer|hoert|hoeren sie? endlich? auf damit? mir|uns|mich* <diese>* <nachrichten>* zu schreiben|texten|simsen|schicken|senden|kontaktieren|belastigen|belaestigen|nerven|spammen
    schreib|schreibe|schreibt|schreiben|kontaktier|kontaktiere|kontaktiert|kontaktieren|belastige|belastigt|belastigen|simst sie|ihr? mir|uns|mich nicht|nie mehr|wieder|langer
    schick|schicke|schickt|schicken|send|sende|sendet|senden|schreib|schreibe|schreibt|schreiben sie|ihr? mir|uns keine|keinerlei <diese>* <nachrichten>+ mehr?
    schick|schicke|schickt|schicken|send|sende|sendet|senden sie|ihr? keine|keinerlei <diese>* <nachrichten>+ mehr
    mir|uns|mich? nicht|nie mehr|wieder schreiben|kontaktieren|anschreiben|texten|simsen
    mir|uns? keine|keinerlei <diese>* <nachrichten>+ mehr schicken|senden|schreiben?
    mir|uns? keine|keinerlei weitere|weiteren <diese>* <nachrichten>+ mehr? schicken|senden|schreiben?
    ich will|mochte|moechte|wunsche|wuensche|brauche keine|keinerlei <diese>* <nachrichten>+ mehr? von? ihnen|euch|dir? mehr? bekommen|erhalten|empfangen|kriegen?
    ich will|mochte|moechte nicht|nie mehr|wieder? angeschrieben|kontaktiert|belastigt werden
    nehmt|nehmen|nimm|streicht|streichen|streich|losch|losche|loscht|loschen|loesche|loescht|loeschen|entfern|entferne|entfernt|entfernen|tragt|tragen|trag sie? mich|uns von|vom|aus der|ihrer|eurer|deiner|dem|ihrem|eurem|diesem|dieser? sms|kontakt|mailing* liste|verteiler|verteilerliste|datenbank|kartei|kontaktliste|mailingliste|system aus?
    losch|losche|loscht|loschen|loesche|loescht|loeschen|vergiss|vergesst|vergessen|entferne|entfernt|entfernen sie? meine|diese nummer|handynummer|telefonnummer|rufnummer
    ich? will|mochte|moechte? mich von|vom|aus der|dem|ihrem|ihren|ihrer|den|diesen? verteiler|liste|sms|nachrichten abmelden|austragen
    stopp|stoppt|stoppe|stoppen|stop|beende|beendet|beenden sie? mit? <diese>* <nachrichtenn>+
    lass|lasst|lassen sie? mich|uns in ruhe|frieden

    <smettetela> di scrivermi|scriverci|contattarmi|disturbarmi|messaggiarmi|infastidirmi|molestarmi|importunarmi|tormentarmi
    <smettetela> di mandarmi|mandarci|inviarmi|inviarci|mandare|inviare|spedirmi <i>* <messaggi>+
    non scrivetemi|scrivermi|scriveteci|contattatemi|contattarmi|contattateci|disturbatemi|disturbarmi|messaggiatemi piu|mai?
    non mi|ci scrivere|scriva|scrivete|scriviate|scrivano|contattare|contatti|contattate|contattiate|disturbare|disturbi|disturbate piu?
    non mandatemi|mandarmi|mandateci|inviatemi|inviarmi|inviateci <i>* <messaggi>+ piu?
    non mi|ci mandate|mandare|mandi|mandiate|inviate|inviare|invii <i>* <messaggi>+ piu?
    non voglio|desidero|vorrei piu? ricevere|avere? <i>* <messaggi>+ piu?
    non voglio|desidero|vorrei piu? essere contattato|contattata|disturbato|disturbata piu?
    basta|stop con|coi|ai|a* <i>* <messaggii>+
    niente|mai piu <messaggii>+
    cancellami|cancellatemi|rimuovimi|rimuovetemi|toglimi|toglietemi|eliminami|eliminatemi|levami|levatemi dalla|dalle|dal|dai|da vostra|vostre|vostro|vostri|tua|sua|questa? lista|liste|database|rubrica|elenco|contatti
    mi cancelli|rimuova|tolga|elimini dalla|dalle|dal|dai|da vostra|vostre|vostro|vostri|sua|questa? lista|liste|database|rubrica|elenco|contatti
    cancella|cancelli|cancellate|elimina|elimini|eliminate|dimentica|dimenticate|rimuovi|rimuovete il? mio|questo numero
    voglio|vorrei|desidero disiscrivermi dalla|dai|dal? vostra|vostri|lista? lista|messaggi|sms?
    voglio|vorrei|desidero cancellarmi|togliermi dalla|dai|dal vostra|vostri? lista|messaggi|sms
    lasciami|lasciatemi|lasciaci|lasciateci in pace
    lasciami|lasciatemi|lasciaci|lasciateci stare
    mi lasci|lasciate in pace
"""
#: Beginnings of a line that a phone appends, with everything below it.
SIGNATURES = (
    *("sent from my ", "sent from ", "get outlook for "),
    *(
        "enviado desde mi ",
        "enviado desde ",
        "envoye de mon ",
        "envoye depuis mon ",
        "envoye depuis ",
        "obtenez outlook pour ",
    ),
    *(
        "enviado do meu ",
        "enviado a partir ",
        "von meinem ",
        "gesendet von ",
        "gesendet mit ",
        "inviato da ",
        "inviato dal mio ",
    ),
)
