"""Invented people for ``flask seed``: names of many languages, reserved mail domains, plausible dates.

`generate_people` is pure: the same arguments always give the same people, and the person with a
given running number depends on the seed and `until` alone, so that a large run may be cut into
several (`start`) without changing it.  Every e-mail address ends, before its ``@``, with a letter
followed by the running number: two different numbers can therefore never share an address.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from random import Random
from typing import Literal, NamedTuple, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Person:
    """One invented person, ready to be stored."""

    full_name: str
    email: str
    role: str
    is_active: bool
    has_password: bool
    created_at: datetime
    last_sign_in_at: datetime | None


# A frozen dataclass fills itself through object.__setattr__; its slots' own setters take half the time.
_blank = object.__new__
(
    _set_full_name,
    _set_email,
    _set_role,
    _set_is_active,
    _set_has_password,
    _set_created_at,
    _set_last_sign_in_at,
) = (vars(Person)[field.name].__set__ for field in fields(Person))


class _Culture(NamedTuple):
    """The names of one language.

    The names are separated by white space; ``_`` stands for a space inside a name, and ``name:latin``
    gives the form used in e-mail addresses where dropping the accents is not enough.  Languages whose
    family names agree in gender have one entry for women and one for men.
    """

    language: str
    weight: int
    given: str
    family: str
    family_first: bool = False
    joiner: str = " "
    # Two family names are borne; the e-mail address is made with the first or with the last.
    two_families: Literal["", "first", "last"] = ""


_CULTURES: tuple[_Culture, ...] = (
    _Culture(
        "French",
        130,
        "Marie Jean-Luc Chloé Étienne Hélène Théo Camille Grégoire Zoé Antoine Amélie Benoît Léa Jérôme "
        "Inès Rémi Noémie Loïc Maëlle Gaël Aurélie Cédric Anaïs Stéphane Élodie Joël Agnès Anne-Sophie",
        "Lefebvre Lefèvre Martin Bernard Dubois Durand Moreau Leroy Roux Fournier Girard Marchand Bonnet "
        "Lambert Fontaine Chevallier Gauthier Perrin Clément Noël Guérin Boyer Lemaître Hébert Crépin "
        "Le_Goff Bérenger Prévost Lecœur",
    ),
    _Culture(
        "English",
        130,
        "Olivia James Charlotte William Grace Henry Emily George Sophie Edward Alice Samuel Hannah Joseph "
        "Lucy Benjamin Eleanor Nathan Megan Oliver Rebecca Simon Chloe Zoë Joanne Kevin",
        "Harding Bennett Clarke Ashworth Tanner Osborne Hughes Edwards Thompson Palmer Sutton Hurst "
        "Robertson Bailey Maynard Murphy O'Brien Fletcher Hayward Webb Pearson Barker Dawson Whitfield "
        "Holloway Hartley",
    ),
    _Culture(
        "Irish (women)",
        10,
        "Aoife Bláthnaid Niamh Caoimhe Róisín Sinéad Gráinne Órlaith Saoirse Áine Ciara Clíodhna Éabha Bríd",
        "Ní_Bhriain Ní_Cheallaigh Ní_Shúilleabháin Ní_Dhomhnaill Ní_Mhurchú Ní_Chonaill Ní_Bhroin "
        "Nic_Gearailt Ní_Fhloinn Ní_Riain Ní_Dhálaigh Ní_Chathasaigh Nic_Cárthaigh",
    ),
    _Culture(
        "Irish (men)",
        10,
        "Seán Pádraig Cian Oisín Darragh Fionn Tadhg Ruairí Cathal Fiachra Éamonn Lorcán Séamus Conchúr",
        "Ó_Briain Ó_Ceallaigh Ó_Súilleabháin Ó_Domhnaill Ó_Murchú Ó_Conaill Ó_Broin Mac_Gearailt Ó_Floinn "
        "Ó_Riain Ó_Dálaigh Ó_Cathasaigh Mac_Cárthaigh",
    ),
    _Culture(
        "German",
        80,
        "Anna Lukas Sabine Jörg:joerg Katharina Matthias Ursula Stefan Franziska Andreas Käthe:kaethe Uwe "
        "Gisela Rüdiger:ruediger Heike Tobias Annika Björn:bjoern Bärbel:baerbel Günther:guenther Zoë "
        "Holger Claudia Sören:soeren",
        "Müller:mueller Schmidt Schneider Fischer Weber Meyer Lehmann Becker Schulz Hoffmann "
        "Schäfer:schaefer Koch Bauer Richter Klein Wolf Schröder:schroeder Neumann Krüger:krueger Braun "
        "Köhler:koehler Weiß Groß Jäger:jaeger Frey Böhm:boehm Strauß",
    ),
    _Culture(
        "Dutch",
        30,
        "Daan Sanne Bram Femke Jeroen Lotte Thijs Marieke Sjoerd Fleur Ruben Maaike Joost Esmée Wouter Noor "
        "Niels Roos Floris Chloë Renée Koen Daniëlle",
        "de_Vries van_den_Berg Bakker Janssen Visser Smit Meijer Mulder de_Groot Vos Peters Hendriks "
        "van_Leeuwen Dekker Brouwer de_Wit Dijkstra Smits de_Graaf van_der_Meer Jacobs Hoekstra Daniëls "
        "van_Vliet",
    ),
    _Culture(
        "Spanish",
        80,
        "María Miguel_Ángel Lucía Andrés Carmen Joaquín Sofía Álvaro Inés Tomás Begoña Raúl Concepción "
        "Jesús Rocío Íñigo Pilar Martín Belén Nicolás Mónica Adrián Verónica Héctor",
        "García Fernández González Rodríguez López Martínez Sánchez Pérez Gómez Jiménez Ruiz Hernández Díaz "
        "Moreno Muñoz Álvarez Romero Gutiérrez Núñez Ibáñez Peña Cañizares Ordóñez Vázquez",
        two_families="first",
    ),
    _Culture(
        "Portuguese",
        60,
        "João Maria Inês António Beatriz Tiago Conceição Luís Mariana Gonçalo Lúcia André Fátima Sebastião "
        "Catarina Estêvão Patrícia Rúben Cláudia Vítor Letícia Otávio Débora Simão",
        "Silva Santos Ferreira Pereira Oliveira Teixeira Rodrigues Martins Araújo Gonçalves Lopes Marques "
        "Almeida Ribeiro Magalhães Guimarães Conceição Assunção Falcão Simões Antunes Esteves Brandão",
        two_families="last",
    ),
    _Culture(
        "Italian",
        60,
        "Giulia Marco Chiara Niccolò Francesca Matteo Elena Davide Alessia Lorenzo Martina Andrea Noè Sara "
        "Pietro Valentina Giosuè Elisa Federico Beatrice Riccardo Silvia Simone Michela",
        "Russo Ferrari Esposito Bianchi Romano Colombo Ferri Marino Greco Bruno Gallo Conti De_Luca Mancini "
        "Costa Giordano Rizzo Lombardi Moretti Laganà D'Angelo Cantù Mandalà Barillà Dal_Prà Fabbri",
    ),
    _Culture(
        "Polish (women)",
        22,
        "Anna Małgorzata Katarzyna Agnieszka Elżbieta Zofia Łucja Józefina Magdalena Żaneta Grażyna Bożena "
        "Wiesława Kinga",
        "Nowak Kowalska Wiśniewska Wójcik Kamińska Zielińska Szymańska Woźniak Dąbrowska Kozłowska "
        "Jabłońska Król Pawłowska Wróbel Grabowska Zając",
    ),
    _Culture(
        "Polish (men)",
        22,
        "Piotr Krzysztof Michał Paweł Łukasz Grzegorz Stanisław Wojciech Józef Rafał Mikołaj Błażej Tomasz "
        "Zdzisław",
        "Nowak Kowalski Wiśniewski Wójcik Kamiński Zieliński Szymański Woźniak Dąbrowski Kozłowski "
        "Jabłoński Król Pawłowski Wróbel Grabowski Zając",
    ),
    _Culture(
        "Czech (women)",
        10,
        "Lenka Tereza Kateřina Lucie Věra Alžběta Ivana Markéta Zdeňka Eliška Božena Barbora Ludmila Růžena",
        "Nováková Svobodová Novotná Dvořáková Černá Procházková Kučerová Veselá Horáková Krejčí Pokorná "
        "Králová Růžičková Benešová Fialová Sedláčková",
    ),
    _Culture(
        "Czech (men)",
        10,
        "Jan Tomáš Jindřich Ondřej Lukáš Zdeněk Matěj Radek Štěpán Vojtěch Jaroslav Luboš Kryštof Bohumil",
        "Novák Svoboda Novotný Dvořák Černý Procházka Kučera Veselý Horák Krejčí Pokorný Král Růžička Beneš "
        "Sedláček Kadlec",
    ),
    _Culture(
        "Croatian",
        14,
        "Ivana Luka Ana Josip Željka Krešimir Snježana Tomislav Mirjana Hrvoje Đurđica Zvonimir Nikolina "
        "Šime Jasna Božidar Vesna Mate Dubravka Siniša",
        "Horvat Kovačević Babić Marić Jurić Novak Kovačić Knežević Vuković Marković Petrović Matić Tomić "
        "Pavlović Đurić Šarić Grgić Perković Barišić Lončar Živković Ćosić",
    ),
    _Culture(
        "Hungarian",
        28,
        "Anna Miklós Zsófia Gergő Éva Botond Eszter Zoltán Réka Mátyás Ágnes Dániel Dorottya Áron Erzsébet "
        "Bence Orsolya Jenő Ildikó Gyöngyi Attila Fanni Győző Tünde",
        "Nagy Kovács Tóth Szabó Horváth Varga Kiss Molnár Németh Farkas Balogh Papp Takács Juhász Lakatos "
        "Mészáros Oláh Simon Rácz Fekete Szűcs Pintér Gulyás Kőszegi",
        family_first=True,
    ),
    _Culture(
        "Romanian",
        28,
        "Ioana Ștefan Mădălina Andrei Cătălina Răzvan Ilinca Mihai Ruxandra Călin Măriuca Cristian Anca "
        "Sorin Lăcrămioara Dragoș Raluca Ionuț Bianca Vlăduț",
        "Popescu Ionescu Popa Pop Țăranu Dumitrescu Stan Voicu Gheorghiu Rusu Munteanu Matei Șerban "
        "Constantinescu Ciobanu Bălan Rădulescu Mănescu Lupașcu Crăciun Vîlcu Păun Moraru Neagoe",
    ),
    _Culture(
        "Icelandic (women)",
        4,
        "Guðrún Þórunn Sigríður Æsa Ásdís Hrafnhildur Kristín Sólveig Þóra Ragnheiður Hildur Ingibjörg",
        "Jónsdóttir Sigurðardóttir Guðmundsdóttir Einarsdóttir Þorsteinsdóttir Ólafsdóttir Magnúsdóttir "
        "Kristjánsdóttir Árnadóttir Stefánsdóttir Björnsdóttir Ævarsdóttir",
    ),
    _Culture(
        "Icelandic (men)",
        4,
        "Brynjar Þór Sigurður Guðmundur Ævar Gísli Hlynur Þorsteinn Höskuldur Snæbjörn Ólafur Hörður",
        "Jónsson Sigurðsson Guðmundsson Einarsson Þorsteinsson Ólafsson Magnússon Kristjánsson Árnason "
        "Stefánsson Björnsson Pálsson",
    ),
    _Culture(
        "Swedish",
        24,
        "Annelie Erik Elin Torbjörn Märta Sven-Åke Linnéa Håkan Ebba Jöns Sigrid Östen Maja Mårten Kerstin "
        "Gösta Frida Åke Ingrid Rutger",
        "Andersson Johansson Karlsson Nilsson Eriksson Larsson Olsson Persson Svensson Lindström Åkesson "
        "Öberg Sjöberg Bergström Hägglund Löfgren Nyström Åström Söderberg Lundqvist Ekström Holmgård",
    ),
    _Culture(
        "Norwegian",
        14,
        "Ingrid Håkon Solveig Øyvind Kari Bjørn Åse Pål Astrid Sølvi Terje Guro Jørgen Marit Sindre "
        "Torbjørn Ragnhild Kåre Silje Vegard",
        "Hansen Johansen Olsen Larsen Andersen Nilsen Kristoffersen Bøe Sørli Bjørnstad Ødegård Håland Næss "
        "Strømme Lie Moen Haugen Sæther Bakken Lunde Tangen Grønli",
    ),
    _Culture(
        "Danish",
        14,
        "Mette Søren Kirsten Jørgen Astrid Bjørn Sofie Kasper Lærke Mads Signe Rasmus Karen Åge Freja "
        "Frederik Dorthe Asbjørn Maren Kjeld",
        "Jensen Nielsen Poulsen Knudsen Rasmussen Sørensen Jørgensen Møller Kjær Østergaard Lund Nørgaard "
        "Skov Bæk Søgaard Dahl Holm Winther Højgaard Krogh",
    ),
    _Culture(
        "Finnish",
        20,
        "Aino Väinö Päivi Jukka Helmi Kyösti Anneli Risto Säde Yrjö Kaisa Jyrki Hilkka Pekka Tuulikki Sampo "
        "Terttu Päivikki Outi Heikki",
        "Korhonen Virtanen Mäkinen Nieminen Mäkelä Hämäläinen Laine Heikkinen Koskinen Järvinen Lehtonen "
        "Saarinen Salminen Heinonen Niemelä Rantanen Kärkkäinen Väisänen Häkkilä Pöyry",
    ),
    _Culture(
        "Turkish",
        40,
        "Ayşe Selim Zeynep Çağlar Gülşen Işık İbrahim Emine Hüseyin Çiğdem Tuğrul Şebnem Yiğit Özlem Ömer "
        "Tuğba Barış Sıla İpek Gökhan Nilüfer Volkan",
        "Yılmaz Kaya Demir Şahin Çakır Yıldız Yıldırım Öztürk Aydın Özdemir Arslan Doğan Kılıç Aslan Çetin "
        "Kara Tunç Kurt Özkan Erdem Güneş Işık Taş Akgün",
    ),
    _Culture(
        "Greek (women)",
        11,
        "Μαρία:maria Ελένη:eleni Αικατερίνη:aikaterini Βασιλική:vasiliki Σοφία:sofia Δήμητρα:dimitra "
        "Άννα:anna Ιωάννα:ioanna Χριστίνα:christina Ευαγγελία:evangelia Δέσποινα:despina Φωτεινή:foteini",
        "Παπαδοπούλου:papadopoulou Γεωργίου:georgiou Νικολάου:nikolaou Οικονόμου:oikonomou "
        "Ζαχαρίου:zachariou Βλάχου:vlachou Αγγελοπούλου:angelopoulou Δημητρίου:dimitriou "
        "Καραγιάννη:karagianni Αντωνίου:antoniou Μακρή:makri Ιωάννου:ioannou Σταυροπούλου:stavropoulou",
    ),
    _Culture(
        "Greek (men)",
        11,
        "Δημήτρης:dimitris Νίκος:nikos Κώστας:kostas Παναγιώτης:panagiotis Βασίλης:vasilis Άγγελος:angelos "
        "Αθανάσιος:athanasios Μιχάλης:michalis Σπύρος:spyros Θεόδωρος:theodoros Στέλιος:stelios Ηλίας:ilias",
        "Παπαδόπουλος:papadopoulos Γεωργίου:georgiou Νικολάου:nikolaou Οικονόμου:oikonomou "
        "Ζαχαρίου:zachariou Βλάχος:vlachos Αγγελόπουλος:angelopoulos Δημητρίου:dimitriou "
        "Καραγιάννης:karagiannis Αντωνίου:antoniou Μακρής:makris Ιωάννου:ioannou Σταυρόπουλος:stavropoulos",
    ),
    _Culture(
        "Ukrainian",
        32,
        "Олена:olena Андрій:andrii Ольга:olha Іван:ivan Наталія:nataliia Сергій:serhii Ірина:iryna "
        "Тарас:taras Оксана:oksana Роман:roman Юлія:yuliia Богдан:bohdan Катерина:kateryna Дмитро:dmytro "
        "Людмила:liudmyla Степан:stepan Галина:halyna Максим:maksym Софія:sofiia Остап:ostap "
        "Соломія:solomiia Павло:pavlo",
        "Мельник:melnyk Шевчук:shevchuk Коваленко:kovalenko Бондаренко:bondarenko Ткаченко:tkachenko "
        "Кравченко:kravchenko Олійник:oliinyk Поліщук:polishchuk Лисенко:lysenko Харченко:kharchenko "
        "Савченко:savchenko Руденко:rudenko Мороз:moroz Петренко:petrenko Клименко:klymenko "
        "Павленко:pavlenko Гончаренко:honcharenko Гаврилюк:havryliuk Бондар:bondar Ковальчук:kovalchuk "
        "Литвиненко:lytvynenko Дем'янчук:demianchuk",
    ),
    _Culture(
        "Arabic",
        60,
        "محمد:mohammed أحمد:ahmed فاطمة:fatima خالد:khaled ليلى:layla يوسف:youssef مريم:maryam عمر:omar "
        "نور:nour حسن:hassan سلمى:salma كريم:karim هدى:huda طارق:tareq رانيا:rania سامي:sami زينب:zainab "
        "إبراهيم:ibrahim أمينة:amina ياسمين:yasmin بلال:bilal دينا:dina",
        "الخطيب:alkhatib حداد:haddad نجار:najjar الخوري:khoury منصور:mansour البيطار:albitar المصري:almasri "
        "السيد:alsayed حمدان:hamdan درويش:darwish قاسم:qasim الحلبي:alhalabi شاهين:shaheen صباغ:sabbagh "
        "الشامي:alshami العمري:alomari بركات:barakat التميمي:altamimi عثمان:othman جابر:jaber "
        "الرفاعي:alrifai",
    ),
    _Culture(
        "Hebrew",
        14,
        "נועה:noa אלון:alon יעל:yael ברק:barak תמר:tamar יוסף:yosef שרה:sara אורי:uri מיכל:michal "
        "איתן:eitan רבקה:rivka עומר:omer שירה:shira יונתן:yonatan חנה:hana עמית:amit רונית:ronit רועי:roi "
        "עדי:adi גיל:gil הילה:hila ניר:nir",
        "כהן:cohen לוי:levi מזרחי:mizrahi סויסה:suissa ביטון:biton דהן:dahan אברהם:avraham פרידמן:friedman "
        "מלכה:malka אזולאי:azoulay כץ:katz עמר:amar אוחיון:ohayon חדד:hadad גבאי:gabay בן_דוד:bendavid "
        "אדרי:edri לוין:levin קליין:klein רוזנברג:rosenberg שפירא:shapira",
    ),
    _Culture(
        "Persian",
        22,
        "زهرا:zahra علی:ali مریم:maryam رضا:reza فاطمه:fatemeh حسین:hossein سارا:sara امیر:amir لیلا:leila "
        "مهدی:mehdi شیرین:shirin بهرام:bahram پریسا:parisa کاوه:kaveh نسرین:nasrin آرش:arash مینا:mina "
        "داریوش:dariush نیلوفر:niloufar سیاوش:siavash الهام:elham",
        "احمدی:ahmadi محمدی:mohammadi حسینی:hosseini رضایی:rezaei نجفی:najafi سلیمی:salimi غفاری:ghaffari "
        "هاشمی:hashemi مرادی:moradi رحیمی:rahimi میرزایی:mirzaei قاسمی:ghasemi اکبری:akbari عباسی:abbasi "
        "حیدری:heydari شریفی:sharifi اسدی:asadi کاظمی:kazemi تهرانی:tehrani کرمی:karami طاهری:taheri "
        "زارع:zare شیرازی:shirazi",
    ),
    _Culture(
        "Hindi",
        60,
        "प्रिया:priya राजेश:rajesh सुनीता:sunita अनिल:anil कविता:kavita विवेक:vivek निशा:nisha महेश:mahesh "
        "पूजा:pooja गिरीश:girish आरती:aarti दीपक:deepak सुरेश:suresh मीना:meena अरुण:arun अंजलि:anjali "
        "रमेश:ramesh मधु:madhu नवीन:naveen सीमा:seema नितिन:nitin शालिनी:shalini हरीश:harish उषा:usha",
        "शर्मा:sharma वर्मा:verma गुप्ता:gupta सिंह:singh मिश्रा:mishra पाण्डेय:pandey यादव:yadav "
        "त्रिपाठी:tripathi तिवारी:tiwari श्रीवास्तव:srivastava अग्रवाल:agarwal जोशी:joshi चौहान:chauhan "
        "ठाकुर:thakur सक्सेना:saxena द्विवेदी:dwivedi शुक्ला:shukla राजपूत:rajput भटनागर:bhatnagar "
        "मेहता:mehta चतुर्वेदी:chaturvedi रस्तोगी:rastogi",
    ),
    _Culture(
        "Tamil",
        20,
        "கவிதா:kavitha முருகன்:murugan லட்சுமி:lakshmi கார்த்திக்:karthik மீனா:meena செந்தில்:senthil "
        "பிரியா:priya சரவணன்:saravanan தேவி:devi ஹரீஷ்:harish மல்லிகா:mallika ராஜேஷ்:rajesh சுமதி:sumathi "
        "பாலாஜி:balaji கலைவாணி:kalaivani தினேஷ்:dinesh உமா:uma வெங்கடேஷ்:venkatesh நந்தினி:nandhini "
        "மணிகண்டன்:manikandan",
        "சுப்பிரமணியன்:subramanian கிருஷ்ணன்:krishnan ராமசாமி:ramasamy பெருமாள்:perumal நடராஜன்:natarajan "
        "கந்தசாமி:kandasamy ராஜேந்திரன்:rajendran சண்முகம்:shanmugam வேலு:velu பழனிசாமி:palanisamy "
        "ஆறுமுகம்:arumugam கோவிந்தன்:govindan மாரிமுத்து:marimuthu சுந்தரம்:sundaram தங்கவேல்:thangavel "
        "சேகர்:sekar முத்துசாமி:muthusamy ரங்கநாதன்:ranganathan குமரேசன்:kumaresan பாண்டியன்:pandian "
        "வேணுகோபால்:venugopal",
    ),
    _Culture(
        "Chinese",
        80,
        "伟:wei 静:jing 芳:fang 秀英:xiuying 丽华:lihua 子涵:zihan 浩然:haoran 雨桐:yutong 建国:jianguo "
        "晓燕:xiaoyan 志明:zhiming 思远:siyuan 欣怡:xinyi 文博:wenbo 玉兰:yulan 海涛:haitao 佳琪:jiaqi "
        "俊杰:junjie 美玲:meiling 宇轩:yuxuan 春梅:chunmei 梓萱:zixuan 国栋:guodong 慧敏:huimin",
        "王:wang 李:li 张:zhang 刘:liu 陈:chen 杨:yang 赵:zhao 黄:huang 周:zhou 吴:wu 徐:xu 孙:sun 胡:hu "
        "朱:zhu 高:gao 何:he 郭:guo 马:ma 罗:luo 梁:liang 宋:song 郑:zheng 谢:xie 欧阳:ouyang",
        family_first=True,
        joiner="",
    ),
    _Culture(
        "Japanese",
        50,
        "颯太:sota 陽菜:hina 美咲:misaki 健太:kenta 葵:aoi 結衣:yui 大樹:daiki さくら:sakura 修平:shuhei "
        "由美子:yumiko 浩二:koji 陽子:yoko 隆:takashi 恵子:keiko 蓮:ren 凛:rin 悠斗:yuto 真由美:mayumi "
        "哲也:tetsuya あかり:akari 亮:ryo ひなた:hinata",
        "佐藤:sato 鈴木:suzuki 高橋:takahashi 田中:tanaka 伊藤:ito 渡辺:watanabe 山本:yamamoto "
        "中村:nakamura 小林:kobayashi 加藤:kato 吉田:yoshida 山田:yamada 佐々木:sasaki 松本:matsumoto "
        "井上:inoue 木村:kimura 清水:shimizu 林:hayashi 斎藤:saito 山口:yamaguchi 森:mori 池田:ikeda",
        family_first=True,
    ),
    _Culture(
        "Korean",
        40,
        "민준:minjun 서연:seoyeon 하준:hajun 예은:yeeun 도윤:doyun 수빈:subin 현우:hyunwoo 은지:eunji "
        "지영:jiyoung 상훈:sanghoon 미영:miyoung 성호:seongho 혜진:hyejin 동현:donghyun 소영:soyoung "
        "영수:youngsu 정훈:junghoon 하은:haeun 경희:kyunghee 윤서:yunseo",
        "김:kim 이:lee 박:park 최:choi 정:jung 강:kang 조:cho 윤:yoon 장:jang 임:lim 한:han 오:oh 서:seo "
        "신:shin 권:kwon 황:hwang 안:ahn 송:song 류:ryu 홍:hong",
        family_first=True,
        joiner="",
    ),
    _Culture(
        "Vietnamese",
        36,
        "Minh_Anh Văn_Hùng Thị_Hương Quốc_Bảo Thu_Hà Đức_Mạnh Ngọc_Lan Tuấn_Kiệt Thùy_Dung Hữu_Phước "
        "Khánh_Linh Xuân_Trường Bích_Ngọc Thanh_Sơn Mỹ_Duyên Đình_Khôi Phương_Thảo Gia_Huy Hồng_Hạnh "
        "Việt_Dũng Tường_Vy Trọng_Nghĩa",
        "Nguyễn Trần Lê Phạm Hoàng Huỳnh Phan Vũ Võ Đặng Bùi Đỗ Hồ Ngô Dương Lý Đinh Trịnh Mai Tạ Lương Đoàn",
        family_first=True,
    ),
    _Culture(
        "Yoruba",
        22,
        "Adébáyọ̀ Adéọlá Ayọ̀délé Bọ́láńlé Bùsáyọ̀ Dámilọ́lá Ẹniọlá Fẹ́mi Fọlákẹ́ Ìbùkún Káyọ̀dé Kẹ́hìndé "
        "Mojísọ́lá Olúwaṣeun Rónkẹ́ Ṣẹ́gun Táíwò Títílayọ̀ Túndé Yétúndé",
        "Adébísí Adélékè Adéyẹmí Adéwálé Afọlábí Àjàyí Akíntọ́lá Akínwándé Àlàbí Bámidélé Balógun Babátúndé "
        "Fágbénlé Ògúnlésí Ògúndélé Ọládélé Ọláńrewájú Oyèwọlé Oyèlárán Ọdúntán",
    ),
    _Culture(
        "Swahili",
        22,
        "Amani Asha Baraka Bahati Halima Hamisi Imani Juma Mariamu Mwanaisha Neema Rehema Saidi Salma "
        "Subira Tumaini Upendo Zawadi Zuhura Faraja Furaha Jabali",
        "Mushi Massawe Kimaro Mwakyusa Mollel Lyimo Shayo Mbwana Mohamedi Ally Hassani Omari Rashidi Bakari "
        "Mfinanga Msuya Ngowi Komba Mwakalinga Kileo Swai Mtui",
    ),
)

# Reserved names only (RFC 2606): nothing that is sent to them can reach anybody.
_DOMAINS: tuple[str, ...] = (
    "mail.example",
    "example.com",
    "example.org",
    "example.net",
    "post.example",
    "courrier.example",
    "orange.example",
    "acme.example",
    "univ-lyon.example",
    "mail.example.com",
    "library.example.org",
    "research.example.net",
    "uni-nordstadt.example",
    "harbour.example",
    "studio.example",
    "letters.example",
    "city-hall.example.org",
    "hospital.example.org",
    "north.example.com",
    "south.example.com",
    "correo.example",
    "posta.example",
    "cooperative.example.net",
    "atelier.example",
)
_DOMAIN_WEIGHTS: tuple[int, ...] = (16, 12, 8, 6) + (3,) * (len(_DOMAINS) - 4)

# Letters that do not decompose into a base letter and an accent.
_SPECIAL_LETTERS = str.maketrans(
    {"ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "ß": "ss", "ı": "i", "đ": "d", "Đ": "d", "ð": "d", "Ð": "d"}
    | {"þ": "th", "Þ": "th", "æ": "ae", "Æ": "ae", "œ": "oe", "Œ": "oe", " ": "", "'": "", "’": ""}
)

# Chances are whole numbers: `_table` lays them out, and a plain choice among equals is the fastest.
_ROLES = (("member", 990), ("support", 5), ("auditor", 3), ("administrator", 2))  # per thousand
_ACTIVE = ((True, 23), (False, 2))  # 92 %
_PASSWORD = ((True, 47), (False, 3))  # 94 %
_SIGNED_IN = ((True, 9), (False, 1))  # 90 % of those who have a password
_ADDRESS_STYLES = (("first.last", 45), ("flast", 20), ("first_last", 13), ("last.first", 12), ("f.last", 10))

_TEN_YEARS = 3652 * 24 * 60 * 60  # seconds
_YOUNGEST = 120  # seconds: nobody is created later than this before `until`

# People are drawn in blocks of this many, each block with a generator of its own.
_BLOCK = 2048


class _Name(NamedTuple):
    shown: str
    latin: str


class _Pool(NamedTuple):
    given: tuple[_Name, ...]
    given_count: int
    family: tuple[_Name, ...]
    family_count: int
    family_first: bool
    joiner: str


class _Tables(NamedTuple):
    """Everything a person is drawn from, each value as many times as it has chances."""

    pools: tuple[_Pool, ...]
    domains: tuple[str, ...]
    roles: tuple[str, ...]
    flags: tuple[tuple[bool, bool, bool], ...]  # is active, has a password, has signed in
    styles: tuple[str, ...]


def _latin(name: str) -> str:
    """Return the ASCII form of a Latin-script name: no accents, no spaces, lower case."""
    decomposed = unicodedata.normalize("NFD", name.translate(_SPECIAL_LETTERS))
    return "".join(char for char in decomposed if not unicodedata.combining(char)).lower()


def _names(words: str) -> tuple[_Name, ...]:
    names = []
    for word in words.split():
        shown, _, latin = word.partition(":")
        shown = unicodedata.normalize("NFC", shown.replace("_", " "))
        names.append(_Name(shown, latin or _latin(shown)))
    return tuple(names)


def _pool(culture: _Culture) -> _Pool:
    given, family = _names(culture.given), _names(culture.family)
    if culture.two_families:
        family = tuple(
            _Name(f"{one.shown} {two.shown}", one.latin if culture.two_families == "first" else two.latin)
            for one in family
            for two in family
            if one != two
        )
    return _Pool(given, len(given), family, len(family), culture.family_first, culture.joiner)


def _table(chances: Iterable[tuple[_T, int]]) -> tuple[_T, ...]:
    return tuple(value for value, times in chances for _ in range(times))


@cache
def _tables() -> _Tables:
    """Return the tables, made on first use: importing this module stays cheap."""
    flags = (
        ((is_active, has_password, has_password and signed_in), active * password * signed)
        for is_active, active in _ACTIVE
        for has_password, password in _PASSWORD
        for signed_in, signed in _SIGNED_IN
    )
    return _Tables(
        pools=_table((_pool(culture), culture.weight) for culture in _CULTURES),
        domains=_table(zip(_DOMAINS, _DOMAIN_WEIGHTS, strict=True)),
        roles=_table(_ROLES),
        flags=_table(flags),
        styles=_table(_ADDRESS_STYLES),
    )


def generate_people(count: int, *, seed: int, until: datetime, start: int = 0) -> Iterator[Person]:
    """Return `count` people numbered from `start`, created in the ten years before `until`.

    Addresses are unique for all the numbers together, whatever the seed, with and without regard to case.
    Raises `ValueError` at once when `count` or `start` is negative or `until` is naive.
    """
    if count < 0 or start < 0:
        raise ValueError("count and start must not be negative")
    if until.tzinfo is None or until.utcoffset() is None:
        raise ValueError("until must be an aware datetime")
    return _generate(start, start + count, seed, until.astimezone(UTC).replace(microsecond=0))


def _generate(start: int, stop: int, seed: int, until: datetime) -> Iterator[Person]:
    tables = _tables()
    now = int(until.timestamp())
    moment = datetime.fromtimestamp  # cheaper than subtracting a timedelta
    newest = _TEN_YEARS - _YOUNGEST

    for block in range(start // _BLOCK, -(-stop // _BLOCK)):
        first = block * _BLOCK
        rng = Random(f"{seed}/{block}")
        random = rng.random
        draws = zip(
            range(first, first + _BLOCK),
            rng.choices(tables.pools, k=_BLOCK),
            rng.choices(tables.domains, k=_BLOCK),
            rng.choices(tables.roles, k=_BLOCK),
            rng.choices(tables.flags, k=_BLOCK),
            rng.choices(tables.styles, k=_BLOCK),
            [random() for _ in range(_BLOCK)],
            [random() for _ in range(_BLOCK)],
            [random() for _ in range(_BLOCK)],
            [random() for _ in range(_BLOCK)],
            strict=True,
        )
        wanted = islice(draws, max(start - first, 0), min(stop - first, _BLOCK))
        for number, pool, domain, role, flags, style, r_given, r_family, r_age, r_seen in wanted:
            givens, given_count, families, family_count, family_first, joiner = pool
            given, given_latin = givens[int(r_given * given_count)]
            family, family_latin = families[int(r_family * family_count)]
            is_active, has_password, has_signed_in = flags

            # Whatever the style, a letter comes right before the number: the number is unambiguous.
            if style == "first.last":
                email = f"{given_latin}.{family_latin}{number}@{domain}"
            elif style == "flast":
                email = f"{given_latin[0]}{family_latin}{number}@{domain}"
            elif style == "first_last":
                email = f"{given_latin}_{family_latin}{number}@{domain}"
            elif style == "last.first":
                email = f"{family_latin}.{given_latin}{number}@{domain}"
            else:
                email = f"{given_latin[0]}.{family_latin}{number}@{domain}"

            # Seconds before `until`: more than a fifth of the people came in the last tenth of the time.
            age = _YOUNGEST + int(newest * r_age * (0.3 + 0.7 * r_age))
            seen: datetime | None = None
            if has_signed_in:
                # Most active people were here lately; the others stopped at any time.
                recency = r_seen**6 if is_active else r_seen
                seen = moment(now - 1 - int((age - 2) * recency), UTC)

            person = _blank(Person)
            _set_full_name(person, f"{family}{joiner}{given}" if family_first else f"{given}{joiner}{family}")
            _set_email(person, email)
            _set_role(person, role)
            _set_is_active(person, is_active)
            _set_has_password(person, has_password)
            _set_created_at(person, moment(now - age, UTC))
            _set_last_sign_in_at(person, seen)
            yield person
